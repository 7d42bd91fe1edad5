"""Pictures: of records, by kinds of plot that the core and plugins offer, and of what an archive has."""
