"""What a campaign's file holds of a candidate, of either family."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from campaigns.stored_cathodes import StoredCathode
from campaigns.stored_mixtures import StoredMixture

StoredCandidate = StoredMixture | StoredCathode
"""Both say in `words` what they are, and of another whether it `is_same` or `is_near`; those that may be the
same share their `components`."""
TaggedCandidate = Annotated[StoredCandidate, Field(discriminator="kind")]
"""As it stands in a file, where `kind` says which it is."""
