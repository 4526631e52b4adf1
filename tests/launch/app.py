"""A Hydra application around the tests' task, as `python app.py -m …` starts it."""

from pathlib import Path

import hydra

from tests.launch.tasks import task

if __name__ == "__main__":
    hydra.main(config_path=str(Path(__file__).parent / "conf"), config_name="app", version_base="1.3")(task)()
