from cmgems.api import load as load
from cmgems.api import run as run
from cmgems.errors import CmgemsError as CmgemsError
from cmgems.genome import GenomeStore as GenomeStore
from cmgems.inference import Model as Model
from cmgems.masking.preview import mask_preview as mask_preview
from cmgems.motifs import discover_motifs as discover_motifs
from cmgems.pmi import PMITable as PMITable

__version__: str
