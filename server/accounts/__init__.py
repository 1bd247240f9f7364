"""Who may call: accounts, API keys and where they are kept. `service.Accounts` is the way in."""
