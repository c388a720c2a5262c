"""Pure functions of one text: cleaning, language, personal data, entities, duplicates, tone."""
