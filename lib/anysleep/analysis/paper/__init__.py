"""Our numbers beside the published ones: tables of finished runs (`collected`), and the parity ledger (`ledger`)."""
