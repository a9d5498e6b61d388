"""The agent's inbox at `/_sandbox/inbox`: what a teammate sees and does in Intercom, for demos and by hand.

`blueprint` is what the page asks for, `views` what it shows, `canvas` the inbox app in it (Intercom: Canvas Kit).
"""
