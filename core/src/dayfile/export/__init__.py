"""Days of an archive as files of other programs: the protocol of an exporter."""
