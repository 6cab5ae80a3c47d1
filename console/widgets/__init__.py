"""What every screen is drawn with: lines of marked text, lists with a cursor, charts, top and bottom line."""
