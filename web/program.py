"""`sottovoce`: the phone process starts without what only the others need (it must be back in a second); all else is in cli.py."""

import sys


def main() -> int:
    if sys.argv[1:2] == ["phone"]:
        from web.phones.phone import main as phone  # here, because importing either costs what the other does not need

        return phone()
    from web.cli import main as others

    return others()


if __name__ == "__main__":
    sys.exit(main())
