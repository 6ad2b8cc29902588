"""Operations: one file each, and what belongs to them."""
