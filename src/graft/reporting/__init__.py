"""Tables, figures and texts about runs and backbones."""

from graft.reporting.card import model_card as model_card
