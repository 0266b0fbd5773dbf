"""Calls from telephone networks, whichever way they come in: who is who, what may be dialled, and the ways in themselves."""
