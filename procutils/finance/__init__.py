"""The example domain: five processes of a financial firm, and what can go wrong in them."""
