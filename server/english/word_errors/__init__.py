"""How many words of a text were heard wrong, however each side spells its numbers and abbreviations."""
