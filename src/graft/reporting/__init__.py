"""Tables, figures and texts about runs."""

from graft.reporting.card import model_card as model_card
