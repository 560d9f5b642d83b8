"""What brings a source with labels and a target without them together: terms beside the source's loss."""

from graft.adaptation.adaptation import Adaptation as Adaptation
from graft.adaptation.adaptation import Domain as Domain
from graft.adaptation.adaptation import Step as Step
from graft.adaptation.adaptation import none as none
from graft.adaptation.adversarial import Cdan as Cdan
from graft.adaptation.adversarial import Dann as Dann
from graft.adaptation.discrepancy import Coral as Coral
from graft.adaptation.discrepancy import Dan as Dan
from graft.adaptation.normalization import AdaBN as AdaBN
from graft.adaptation.normalization import Afn as Afn
from graft.adaptation.predictions import Mcc as Mcc
from graft.adaptation.predictions import SelfTraining as SelfTraining
