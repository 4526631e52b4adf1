"""Scenes of VMAS worlds: entities as plain shapes, without the OpenGL that VMAS's own pictures need."""

from collections.abc import Sequence
from math import cos, sin
from typing import Any

import torch

from marlpipe.envs.scene import Disc, Label, Line, Point, Scene, Shape


def outline(length: float, width: float, centre: Point, angle: float) -> list[Point]:
    """The corners of a rectangle that is turned by an angle in rad, from the first one round to it again."""
    x, y = length / 2, width / 2
    return [
        (centre[0] + u * cos(angle) - v * sin(angle), centre[1] + u * sin(angle) + v * cos(angle))
        for u, v in ((-x, -y), (x, -y), (x, y), (-x, y), (-x, -y))
    ]


def paint(colour: Any, copy: int) -> str:
    """#rrggbb from red, green and blue between 0 and 1, given for all copies or for each."""
    channels = torch.as_tensor(colour)
    own = channels[copy] if channels.dim() > 1 else channels
    return "#" + "".join(f"{channel:02x}" for channel in (255 * own[:3].clamp(0, 1)).round().int().tolist())


def window(scenario: Any, agents: Sequence[Point], margin: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges of x and y in m: the scenario's view, widened in proportion until it shows all agents."""
    across, up = scenario.viewer_size
    (x, y), zoom = scenario.render_origin, scenario.viewer_zoom
    half_width, half_height = zoom * max(1, across / up), zoom * max(1, up / across)
    reach = max(max((abs(u - x) + margin) / half_width, (abs(v - y) + margin) / half_height) for u, v in agents)
    half_width, half_height = max(1, reach) * half_width, max(1, reach) * half_height
    return (x - half_width, x + half_width), (y - half_height, y + half_height)


def scene(
    simulator: Any,
    copy: int,
    places: Sequence[Sequence[float]],
    angles: Sequence[float],
    visible: Sequence[bool],
    actions: Sequence[int],
) -> Scene:
    """Spheres as discs, with a black edge for agents, boxes as outlines, lines, all in VMAS's colours.

    places: x and y in m, angles in rad and visibility of each entity. actions: of each agent that is not scripted, or
    none; they are written above it. Nothing else is drawn, such as the map of road_traffic or the rays of a lidar.
    """
    world = simulator.world
    centres = {entity.name: (x, y) for entity, (x, y) in zip(world.entities, places, strict=True)}
    shapes: list[Shape] = []
    for entity, angle, shown in zip(world.entities, angles, visible, strict=True):
        if not shown:
            continue
        centre, colour, shape = centres[entity.name], paint(entity.color, copy), entity.shape
        match type(shape).__name__:
            case "Sphere":
                shapes.append(Disc(centre, float(shape.radius), colour, "black" if entity in world.agents else "none"))
            case "Box":
                shapes.append(Line(outline(float(shape.length), float(shape.width), centre, angle), colour))
            case "Line":
                shapes.append(Line(outline(float(shape.length), 0.0, centre, angle), colour))
    for agent, action in zip(simulator.agents, actions, strict=False):
        x, y = centres[agent.name]
        shapes.append(Label((x, y + 2 * agent.shape.circumscribed_radius()), str(action)))
    margin = 2 * max(agent.shape.circumscribed_radius() for agent in world.agents)
    return Scene(*window(simulator.scenario, [centres[agent.name] for agent in world.agents], margin), shapes)
