"""English read aloud (`read_aloud/`) and compared by its words (`word_errors/`), both by the same tables of words."""
