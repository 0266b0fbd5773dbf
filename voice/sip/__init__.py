"""The phone process: SIP signalling and a media relay, and nothing that could stand in their way. The only imports of sippy and rtp_io.

It runs apart from everything else: what listens, coaches and stores may be killed while people talk. Each side's sound is
copied to a UDP socket whose descriptor the analysis is given (voice/legs/sip_bridge.py); what happens is told over a Unix socket (door.py).
"""
