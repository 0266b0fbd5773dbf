"""Calls in LiveKit rooms: tokens, who is dispatched to which call, the worker and its jobs, phones.

Only what stands in server.py and worker.py imports livekit.api and livekit.agents; both are an extra (scripts/setup --livekit).
"""

from typing import Final

AGENT_NAME: Final = "sottovoce"  # under which workers register: explicit dispatch only
COACH: Final = "sottovoce-coach"  # the identity of whoever coaches a room; a newer one puts the older out
