"""Tables, figures and texts about runs and backbones."""

from graft.reporting.card import model_card as model_card
from graft.reporting.seeds import seed_figure as seed_figure
from graft.reporting.seeds import seed_rows as seed_rows
from graft.reporting.seeds import seed_table as seed_table
