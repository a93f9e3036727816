"""Reading files up to their cells: sheets, tables, and what is written in a cell: dates, numbers, units, codes."""
