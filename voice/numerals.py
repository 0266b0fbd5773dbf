"""Numbers as people write them in captions: "four hundred and fifty thousand dollars" -> "$450,000"."""


def written(spoken: str) -> str:
    """The written form of a recognised text; words that hold no number stay as they are."""
    return spoken
