"""Kept responses and conversations: written, read again, gone on from, worked on in the background, and swept.

store.py          one response: kept, found, deleted
chain.py          what was said before a response, turn by turn
conversations.py  conversations and their items
references.py     items by their ids alone
sealing.py        what is written of them, encrypted or not
retention.py      what goes: expired, too much, of closed accounts
claims.py         responses under way, as their process writes them
events.py         a response's stream, to be followed from any event on
work.py           one that this process works on, and all of them
background.py     begun, followed, cancelled and ended without its client
upkeep.py         what goes on beside them
"""
