# name: sand
# expect: would share its table /hits with mud.hits of plugin mud, in the same day file
# fix: give it a path or node of its own
# also: mud
from dayfile import Instrument

TEXT = """\
instrument: {name}
title: {name}
clock: {epoch: 2000-01-01}
sources: [struct_streams]
path: "both/{year}/{month:02}/{day:02}.h5"
types:
  hits:
    code: Hit
    title: Hits
    store: append
    time: second
    fields:
      - {name: second, type: uint32}
"""


def make(name):
    return Instrument(TEXT.replace("{name}", name), f"{name}.yaml")


mud, plugin = make("mud"), make("sand")
