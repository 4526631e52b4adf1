from marlpipe.cli import main

main()
