"""What every input calls: observe, normalize, configure, snapshot; and who hears of what was observed."""

from streamnorm.ingest.ingest_service import IngestService
from streamnorm.ingest.listeners import ObservationListener

__all__ = ["IngestService", "ObservationListener"]
