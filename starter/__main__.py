"""`python -m starter`, which scripts/models runs."""

import sys

from starter.installer import main

sys.exit(main())
