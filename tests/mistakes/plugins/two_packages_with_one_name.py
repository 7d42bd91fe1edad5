# name: sand
# twice: yes
# expect: both have a plugin 'sand', and neither is used
# fix: pip uninstall
from dayfile import Instrument

TEXT = """\
instrument: sand
title: sand
clock: {epoch: 2000-01-01}
sources: [struct_streams]
path: "sand/{year}/{month:02}/{day:02}.h5"
types:
  hits:
    code: Hit
    title: Hits
    store: append
    time: second
    fields:
      - {name: second, type: uint32}
"""
plugin = Instrument(TEXT, "sand.yaml")
