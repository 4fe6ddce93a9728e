"""Which periods and accounts to compute. Pure: values in, values out."""
