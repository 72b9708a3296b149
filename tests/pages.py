"""The shell commands of the documents (blocks marked `sh`). The script tries each chapter, or there is a reason why not."""

import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Version 1 of the CLI takes the global addresses of these two whatever AWS_ENDPOINT_URL says, unless it is told on the command line.
LOCAL = """aws() {
    case "$1" in
        sqs | rds) command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@" ;;
        *) command aws "$@" ;;
    esac
}"""

# What is run elsewhere, or cannot be run here.
ELSEWHERE = {
    ("README.md", "See it work"): "the steps demo and test",
    ("README.md", "Run it locally"): "tests/local.py",
    ("docs/deploying.md", "From source"): "the step build",
}


def blocks(document):
    """The shell commands of a document, by the heading of second level under which they are."""
    found = {}
    for chapter in re.split(r"^## ", (ROOT / document).read_text(), flags=re.MULTILINE)[1:]:
        heading, text = chapter.split("\n", 1)
        commands = re.findall(r"^( *)```sh\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
        if commands:
            found[heading] = [textwrap.dedent(block).rstrip("\n") for _, block in commands]
    return found


class Pages:
    """Gives the commands to those who run them, and remembers which nobody has run."""

    def __init__(self):
        documents = [path for path in ROOT.glob("*.md")] + [path for path in ROOT.glob("docs/*.md")]
        names = sorted(str(path.relative_to(ROOT)) for path in documents)
        self.chapters = {(name, heading): commands for name in names for heading, commands in blocks(name).items()}
        self.left = {key for key in self.chapters if key not in ELSEWHERE}

    def take(self, document, heading):
        """The commands of one chapter, which the caller runs."""
        self.left.discard((document, heading))
        return self.chapters[document, heading]
