"""Calls in LiveKit rooms: tokens, who is dispatched to which call, the worker and its jobs, phones.

Only server.py and trunks.py import livekit.api, only worker.py livekit.agents; both are an extra (scripts/setup --livekit).
"""

from typing import Final

AGENT_NAME: Final = "sottovoce"  # under which workers register: explicit dispatch only
COACH: Final = "sottovoce-coach"  # the identity of whoever coaches a room; a newer one puts the older out
CALL_ROOM: Final = "call-"  # rooms that we made
PHONE_ROOM: Final = "phone-"  # rooms that LiveKit's SIP service makes, one for each caller
WHISPER: Final = ".whisper"  # ends the name of the room in which a supervisor speaks to the agent alone
