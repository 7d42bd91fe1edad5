# name: sand
# expect: sand.yaml:2:1: titel: unknown key 'titel'
# fix:
# expect: sand.yaml:13:30: types.hits.fields[0].type: 'unit32' is not a type
# fix:
from dayfile import Instrument

TEXT = """\
instrument: sand
titel: sand
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
      - {name: second, type: unit32}
"""
plugin = Instrument(TEXT, "sand.yaml")
