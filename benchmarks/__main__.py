"""The entry point of `python -m benchmarks`."""

if __name__ == "__main__":
    # Not in the processes of servers, which import this module too.
    from .command import main

    main()
