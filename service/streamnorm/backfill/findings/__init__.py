"""What a recording is, found before the work: how its lines are cut, presets, which columns are what."""
