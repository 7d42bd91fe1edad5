"""The muon telescope of a school laboratory."""

from dayfile import Instrument

instrument = Instrument.from_package(__name__, "muonlab.yaml")
