"""The commands of `python -m marlpipe COMMAND`: one module or folder per command, with a function `run`."""
