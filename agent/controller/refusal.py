# SPDX-License-Identifier: Apache-2.0
"""What the controller refuses, one class per code; the codes BMS.0001 to BMS.9999 are the cloud's.

Refused
├── BadParameter, BadUserData, BadKey, BadFlavor, BadImage, ImageMismatch,  the order is wrong
│   WrongFormat
├── AddressTaken, AddressesExhausted, NoNodeFits, NoNicFree, NoPower,       there is nothing to serve it with
│   NoSpace, ToolsMissing, TooMany
├── Missing, ServerMissing, NameTaken, InUse, ApprovalNeeded                                what it names
├── AlreadyRunning, AlreadyStopped, PoweringOn, PoweringOff, Rebooting      the server's state
├── Busy, NotAllowed, PrimaryNic                                            the server's or the node's state
└── Unauthorized, Forbidden, TooFast, AgentUnauthorized, ClockOff,          who asks
    CertificateRefused, TokenRefused, EnrolmentRefused, StillSpeaking, WrongFingerprint, ProofRefused, CloneRefused
"""

from __future__ import annotations

from typing import ClassVar

from agent.errors import InputError
from agent.model.protocol import CERTIFICATE_CODE
from agent.model.signature import CLOCK_CODE


class Refused(InputError):
    """Understood, and refused; nothing was changed."""

    http_status: ClassVar[int] = 400


class BadParameter(Refused):
    """A parameter is wrong."""

    code = "BMS.0018"
    advice = "Correct the parameter and ask again."


class BadUserData(Refused):
    """Too much user data."""

    code = "BMS.0210"
    advice = "Let the user data fetch what is large; 32 KiB is the limit before base64."


class BadKey(Refused):
    """No such key pair, or not a public key."""

    code = "BMS.0211"
    advice = "A key pair is made by bmsctl keypair create NAME --public-key FILE, of the one line of a .pub file."


class BadFlavor(Refused):
    """No such flavor."""

    code = "BMS.0021"
    advice = "See bmsctl flavor list."


class BadImage(Refused):
    """No such image, or not one for this server."""

    code = "BMS.0011"
    advice = "See bmsctl image list."


class WrongFormat(Refused):
    """The file is not of the format that was said, or of one that is not deployed as it is."""

    code = "IMAGE.REFUSED"
    advice = "Let the controller convert it: bmsctl image import NAME --file FILE."


class NoSpace(Refused):
    """There is no room for it."""

    code = "BMS.NO_SPACE"
    http_status = 507
    advice = "Delete images, or give the controller's data directory more room."


class ToolsMissing(Refused):
    """What it takes is not installed where the controller runs."""

    code = "HOST.TOOL_MISSING"
    http_status = 503
    advice = "Install it there, and ask again."


class ImageMismatch(Refused):
    """The bytes that were uploaded are not the image that was announced."""

    code = "IMAGE.DIGEST_MISMATCH"
    advice = "Compare the file with its published digest; nothing of it was kept."


class AddressesExhausted(Refused):
    """No address is left."""

    code = "BMS.0012"
    http_status = 409
    advice = "Delete servers of this subnet, or create another subnet."


class AddressTaken(Refused):
    """That address is used, reserved or of another network."""

    code = "BMS.0014"
    http_status = 409
    advice = "Leave the address out, and the lowest free one is taken."


class NoNodeFits(Refused):
    """No node can be this server."""

    code = "BMS.NO_NODE_FITS"
    http_status = 409
    advice = "The list says for each node why not; see bmsctl node show NODE."


class NoNicFree(Refused):
    """The node has no physical NIC left."""

    code = "BMS.NO_NIC_FREE"
    http_status = 409
    advice = "Detach a NIC, or use a VPC that is a vlan or vxlan: its NICs are virtual."


class TooMany(Refused):
    """There are as many as there may be."""

    code = "BMS.LIMIT"
    http_status = 409
    advice = "Delete one that is not needed any more."


class PrimaryNic(Refused):
    """A server keeps its first NIC."""

    code = "BMS.0222"
    http_status = 409
    advice = "Delete the server, or detach another of its NICs: bmsctl server nic list SERVER."


class Missing(Refused):
    """What is named is not there."""

    code = "BMS.NOT_FOUND"
    http_status = 404
    advice = "List what there is, and name it by id or by name."


class ServerMissing(Missing):
    """No such server."""

    code = "BMS.0040"
    advice = "See bmsctl server list."


class NameTaken(Refused):
    """That name is used."""

    code = "BMS.NAME_TAKEN"
    http_status = 409
    advice = "Choose another name, or delete what has it."


class ApprovalNeeded(Refused):
    """It waits for a second person."""

    code = "BMS.APPROVAL_NEEDED"
    http_status = 409
    advice = "Somebody else approves it: bmsctl approval list."


class InUse(Refused):
    """It cannot be deleted while something stands on it."""

    code = "BMS.IN_USE"
    http_status = 409
    advice = "Delete what uses it first."


class AlreadyRunning(Refused):
    """A running server cannot be started."""

    code = "BMS.0038"
    http_status = 409
    advice = "It runs already."


class AlreadyStopped(Refused):
    """A stopped server cannot be stopped."""

    code = "BMS.0039"
    http_status = 409
    advice = "It is stopped already."


class PoweringOn(Refused):
    """It is being started."""

    code = "BMS.0035"
    http_status = 409
    advice = "Wait until it is started: bmsctl server show."


class PoweringOff(Refused):
    """It is being stopped."""

    code = "BMS.0036"
    http_status = 409
    advice = "Wait until it is stopped: bmsctl server show."


class Rebooting(Refused):
    """It is being rebooted."""

    code = "BMS.0037"
    http_status = 409
    advice = "Wait until it is back: bmsctl server show."


class Busy(Refused):
    """Something else is being done to it."""

    code = "BMS.BUSY"
    http_status = 409
    advice = "Wait until the running job is over; only delete may come in between."


class NotAllowed(Refused):
    """Its state does not allow that."""

    code = "BMS.STATE"
    http_status = 409
    advice = "See its state with bmsctl server show or bmsctl node show."


class NoPower(Refused):
    """There is no way to switch this machine."""

    code = "BMS.NO_POWER_CONTROL"
    http_status = 409
    advice = "Give the node a BMC: bmsctl node bmc NODE --address URL --username NAME --password-file FILE."


class Unauthorized(Refused):
    """Whoever calls is not known."""

    code = "AUTH.REQUIRED"
    http_status = 401
    advice = (
        "Send a token: bmsctl token create makes one; the first is in admin-token of the controller's data directory."
    )


class Forbidden(Refused):
    """Whoever calls is known, and may not do that."""

    code = "AUTH.FORBIDDEN"
    http_status = 403
    advice = "Ask an admin for a token with another role or project; bmsctl whoami says what this one is."


class TooFast(Refused):
    """More calls than one caller may make."""

    code = "AUTH.TOO_FAST"
    http_status = 429
    advice = "Wait as many seconds as Retry-After says."


class AgentUnauthorized(Refused):
    """No node has this credential (any more)."""

    code = "AGENT.UNAUTHORIZED"
    http_status = 401
    advice = "The machine was taken over by another deploy, or released: let it boot over the network."


class ClockOff(AgentUnauthorized):
    """An agent's call is signed with a time that is not now."""

    code = CLOCK_CODE
    advice = (
        "An agent corrects itself by the header Date; if it does not, set the machine's clock, or the controller's."
    )


class CertificateRefused(Refused):
    """A call that needs its node's certificate came without one, or with one that is not good; or none is given."""

    code = CERTIFICATE_CODE
    http_status = 403
    advice = (
        "An agent fetches a new one itself. One of a release that knows of none is let in by bms-agent controller "
        "--no-require-certificates, until it is brought up to date."
    )


class TokenRefused(Refused):
    """The one-time token is missing, spent, expired or another machine's."""

    code = "ENROLL.TOKEN_REFUSED"
    http_status = 403
    advice = "Boot the machine over the network again: each boot is given a fresh token."


class EnrolmentRefused(Refused):
    """The machine cannot be taken in as what it says it is."""

    code = "ENROLL.REFUSED"
    http_status = 409
    advice = "Two machines may claim one identity: compare their serial numbers and MACs."


class BootUnordered(EnrolmentRefused):
    """It says to be a ramdisk of a machine that was not to boot one."""

    code = "BOOT.UNORDERED"
    advice = "Wait until its BMC has booted it, or its OS has ended. If it was no machine of yours: who has its MAC?"


class StillSpeaking(EnrolmentRefused):
    """Another machine says that it is one that is up."""

    code = "ENROLL.TWO_MACHINES"
    advice = (
        "Has it just restarted, it is taken in within two minutes; if not, look which machine has its MAC and UUID."
    )

    def __init__(self, doing: str, problem: str, node_id: str) -> None:
        super().__init__(doing, problem)
        self.node_id = node_id


class WrongFingerprint(Refused):
    """The operator has another machine before them."""

    code = "ENROLL.FINGERPRINT"
    http_status = 409
    advice = "Compare the machine's screen with bmsctl node show NODE: each boot of the ramdisk has a new one."


class CloneRefused(Refused):
    """A copy of a server's disk runs in another machine."""

    code = "BOOT.CLONE"
    http_status = 403
    advice = "Switch the copy off. Is it the server's own machine, repaired: bmsctl node identity, and start it anew."


class ProofRefused(Refused):
    """Not the OS, or not the disk, that was ordered."""

    code = "BOOT.PROOF_REFUSED"
    http_status = 403
    advice = "Another disk than the deployed one has booted, or a copy of it: check the machine's boot order."
