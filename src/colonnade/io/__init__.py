"""Other formats in (`load`) and out (`dump`): files, folders, databases."""
