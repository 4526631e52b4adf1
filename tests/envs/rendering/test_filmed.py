"""A filmed world is the same world, and each film is one episode: every moment at which is acted, and the end."""

from jaxtyping import Int
from torch import Generator, Tensor, equal, manual_seed

from marlpipe.envs.rendering.filmed import Filmed
from marlpipe.envs.scene import Label, Scene
from marlpipe.models.agents.feedforward import FeedForwardAgent
from marlpipe.training.rollout import rollout
from marlpipe.types import EpisodeBatch
from tests.support.synthetic import RaggedState, RaggedWorld

COPIES = 12


class SeenWorld(RaggedWorld):
    """What is seen of a copy is its tag, the time, and the actions."""

    def scene(self, state: RaggedState, copy: int, actions: Int[Tensor, " N"] | None = None) -> Scene:
        told = f"{state.tag[copy]:.6f} {state.elapsed[copy]} {None if actions is None else actions.tolist()}"
        return Scene((0, 1), (0, 1), [Label((0.5, 0.5), told)])


def played(world: RaggedWorld | Filmed, seed: int) -> EpisodeBatch:
    manual_seed(0)
    agent = FeedForwardAgent(spec=world.spec, hidden=8, obs_last_action=True, obs_agent_id=True, shared=True)
    return rollout(world, agent, COPIES, 0.5, Generator().manual_seed(seed))


def test_the_films_are_the_episodes_that_were_played() -> None:
    filmed = Filmed(SeenWorld(), copies=5)
    for seed in range(3):
        batch = played(filmed, seed)
        assert len(filmed.scenes) == 5
        assert len(set(batch.lengths[:5].tolist())) > 1
        for episode, scenes in enumerate(filmed.scenes):
            tag, length = batch.obs[episode, 0, 0, 0], int(batch.lengths[episode])
            acted = [*batch.actions[episode, :length].tolist(), None]
            told = [shape.text for scene in scenes for shape in scene.shapes if isinstance(shape, Label)]
            assert told == [f"{tag:.6f} {moment} {actions}" for moment, actions in enumerate(acted)]


def test_being_filmed_changes_nothing() -> None:
    alone, filmed = played(SeenWorld(), seed=1), played(Filmed(SeenWorld(), copies=COPIES), seed=1)
    assert all(equal(left, right) for left, right in zip(alone, filmed, strict=True))


def test_of_a_long_episode_time_steps_at_equal_distances_are_kept() -> None:
    whole, thinned = Filmed(SeenWorld(), copies=COPIES), Filmed(SeenWorld(), copies=COPIES, most=2)
    lengths = played(whole, seed=1).lengths.tolist()
    played(thinned, seed=1)
    every = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4}
    assert max(lengths) > 4
    for scenes, fewer, length in zip(whole.scenes, thinned.scenes, lengths, strict=True):
        assert fewer == [*scenes[: length : every[length]], scenes[-1]]
