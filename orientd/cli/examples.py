"""One or two examples of each command: the words behind `orientd`, and what they do. Help, manual and man page show them."""

from collections.abc import Mapping
from typing import Final

Examples = tuple[tuple[str, str], ...]

EXAMPLES: Final[Mapping[str, Examples]] = {
    "scan": (
        ("scan ~/Pictures --report plan.csv", "Look at all photos below a folder and write a plan; nothing is changed."),
        ("scan ~/Pictures --fix", "Look, and fix what is certain."),
    ),
    "serve": (
        ("serve", "Answer on this machine; the page to try it is at the address that is printed."),
        ("serve --token-file token --listen 0.0.0.0:8765", "Answer other machines, too, if they send the token in that file."),
    ),
    "review": (
        ("review plan.csv", "Decide photo by photo in the browser."),
        ("review ~/Pictures", "The same, with a scan before it."),
    ),
    "apply": (
        ("apply plan.csv", "Fix the photos whose decision in the plan is fix."),
        ("apply plan.csv ~/Pictures", "The same, but touch nothing outside that folder."),
    ),
    "report": (
        ("report plan.csv", "Show the numbers of a plan again."),
        ("report plan.csv --html plan.html", "Make a file with small pictures of what the plan would turn."),
    ),
    "inspect": (("inspect photo.jpg", "Show what is thought of one photo, and why."),),
    "undo": (
        ("undo", "Take back the last run that wrote, once you have said yes."),
        ("undo --file ~/Pictures/2024", "Take back the last changes below a folder."),
    ),
    "redo": (("redo 2", "Turn the photos again that run 2 took back."),),
    "offer": (
        ("offer 2", "Have the photos that run 2 took back judged like any other."),
        ("offer ~/Pictures/2024", "The same for photos below a folder, also those a person kept as they are."),
    ),
    "verify": (("verify", "Check every photo ever written, and that each change can still be undone."),),
    "history": (("history", "List the runs that wrote, with their numbers."),),
    "forget": (
        ("forget 3", "Delete the copies of originals that run 3 left."),
        ("forget --older-than 90d", "Delete the copies of originals that are older than 90 days."),
    ),
    "pages": (
        ("pages ~/Scans", "Report how each page lies."),
        ("pages ~/Scans --out ~/Upright", "Make upright, straight copies as well."),
    ),
    "immich scan": (
        (
            "immich scan --url https://photos.example.com --key-file ~/.config/orientd/immich.key",
            "Look at the photos on an Immich server; nothing is changed.",
        ),
    ),
    "plan merge": (("plan merge part1.csv part2.csv --out plan.csv", "Make one plan of what two machines judged."),),
    "watch": (
        ("watch ~/Pictures --plan plan.csv", "Judge new photos, and collect proposals in a plan."),
        ("watch ~/Pictures --fix", "Judge new photos, and fix what is certain."),
    ),
    "service install": (("service install --user --fix ~/Pictures", "Install the watcher as a systemd service of this user."),),
    "service uninstall": (("service uninstall --user", "Stop and remove the service of this user."),),
    "service status": (("service status --user", "Show whether the service of this user runs."),),
    "status": (
        ("status", "Show where the state lies, and what the watcher is doing."),
        ("status --check", "Say whether a watcher runs, by the exit code as well."),
    ),
    "doctor": (
        ("doctor", "Check that everything is there."),
        ("doctor --provider cuda", "The same, with an NVIDIA card."),
    ),
    "models": (("models", "List the models; the one in use has a mark."),),
    "models verify": (("models verify", "Check every model against its recorded SHA-256."),),
    "models add": (("models add mine.onnx --name mine", "Keep a model under a name for --model."),),
    "models remove": (("models remove mine", "Delete a model that was added."),),
    "models export": (("models export ~/orientd-model", "Write the model for programs in other languages."),),
    "config check": (("config check ~/.config/orientd/orientd.yaml", "Name every mistake in a configuration file."),),
    "config show": (("config show", "Print every option with its value, and where that comes from."),),
    "completion": (("completion bash >> ~/.bashrc", "Complete names in bash from the next shell on."),),
}
"""By the words that call the command."""
