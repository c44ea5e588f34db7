"""How people ask for what the rules find, and short answers. Slots stand in braces; `value` is as the text writes it."""

from .fact import Phrasings

PHRASINGS: dict[str, Phrasings] = {
    "field": Phrasings(
        ["What is the {key}?", "Which {key} is given?", "What does it say for {key}?", "Tell me the {key}.", "What {key} is listed?",
         "What is given as the {key}?", "{key}?", "Can you find the {key}?", "Please give me the {key}.", "What's the {key} here?",
         "I need the {key}.", "What value does {key} have?"],
        ["The {key} is {value}."],
    ),
    "field_of": Phrasings(
        ["What is the {key} of {name}?", "Which {key} does {name} have?", "What {key} is given for {name}?", "Tell me the {key} of {name}.",
         "What's {name}'s {key}?", "What does it say about the {key} of {name}?", "{name}: what is the {key}?", "I am looking for the {key} of {name}.",
         "For {name}, which {key} is listed?", "Can you tell me which {key} {name} has?", "Find the {key} of {name}.", "And the {key} of {name}?"],
        ["The {key} of {name} is {value}.", "The {key} of {name} is {value}."],
    ),
    "which_has": Phrasings(
        ["Which {what} has the {key} {given}?", "What {what} has {given} as its {key}?", "For which {what} is the {key} {given}?",
         "Whose {key} is {given}?", "The {key} {given} belongs to which {what}?", "Where is the {key} {given}?"],
        ["{value} has the {key} {given}.", "The {key} {given} is that of {value}."],
    ),
    "option_does": Phrasings(
        ["What does {option} do?", "What does the option {option} do?", "What is {option} for?", "What happens with {option}?", "Explain {option}.",
         "What is the effect of {option}?", "Why would I use {option}?", "What is the purpose of {option}?", "What does {option} mean?",
         "What do I get with {option}?", "When would one pass {option}?", "Tell me about {option}."],
        ["{option}: {value}.", "The option {option} is described so: {value}."],
    ),
    "option_for": Phrasings(
        ["Which option do I need to {clause}?", "How can I {clause}?", "How do I {clause}?", "What option is there to {clause}?", "I want to {clause}. Which option?",
         "How does one {clause}?", "Is there an option to {clause}?", "With which option can I {clause}?", "What do I pass to {clause}?"],
        ["Use {value}.", "The option is {value}."],
    ),
    "definition": Phrasings(
        ["What is {name}?", "What does {name} mean?", "Define {name}.", "What is meant by {name}?", "How is {name} defined?", "What's {name}?",
         "Explain what {name} is.", "Can you say what {name} is?", "{name}: what is that?", "What is {name}, according to the text?", "Tell me what {name} is.", "What exactly is {name}?"],
        ["{name} is {value}.", "{name} is {value}."],
    ),
    "means": Phrasings(
        ["What does {name} mean?", "What is the meaning of {name}?", "How does the text define {name}?", "Define {name}.", "What is {name}?", "How is {name} explained?",
         "What is said about {name}?", "Explain {name}.", "What does {name} stand for?"],
        ["{name}: {value}."],
    ),
    "when": Phrasings(
        ["When {aux} {subject} {rest}?", "In which year {aux} {subject} {rest}?", "What year {aux} {subject} {rest}?", "When exactly {aux} {subject} {rest}?",
         "Do you know when {subject} {aux} {rest}?", "Since when or when {aux} {subject} {rest}?"],
        ["{subject} {aux} {rest} in {value}.", "In {value}."],
    ),
    "who_did": Phrasings(
        ["Who {verb} {object}?", "By whom was {object} {verb}?", "Who was it that {verb} {object}?", "Which person or group {verb} {object}?", "Who is said to have {verb} {object}?",
         "Who exactly {verb} {object}?"],
        ["{object} was {verb} by {value}.", "It was {value}.", "{value} {verb} {object}."],
    ),
    "author": Phrasings(
        ["Who wrote this?", "Who is the author?", "Who wrote {name}?", "Who is the author of {name}?", "By whom was this written?", "Who are the authors?", "Who made {name}?", "Whose work is this?"],
        ["It was written by {value}.", "The author is {value}."],
    ),
    "copyright": Phrasings(
        ["Who holds the copyright?", "Whose copyright is it?", "Who is the copyright holder?", "Who owns the copyright?", "To whom does the copyright belong?", "Who has the copyright?",
         "Which holder of the copyright is named?", "Name the copyright holder."],
        ["The copyright is held by {value}.", "The copyright holder is {value}."],
    ),
    "copyright_year": Phrasings(
        ["From which year is the copyright of {name}?", "What year does the copyright of {name} carry?", "Since when does {name} hold the copyright?", "When was the copyright of {name}?", "Which years does the copyright of {name} cover?",
         "What are the copyright years of {name}?"],
        ["The copyright of {name} is from {value}."],
    ),
    "licence": Phrasings(
        ["Which licence applies?", "Under which license is it?", "What is the license?", "How is it licensed?", "What license is this under?", "Which licence is named?", "Under what terms may it be used?", "Is there a license, and which?"],
        ["The license is {value}."],
    ),
    "may": Phrasings(
        ["May I {clause}?", "Am I allowed to {clause}?", "Is it allowed to {clause}?", "Can I {clause}?", "Is one permitted to {clause}?", "Is it okay to {clause}?", "Do I have permission to {clause}?", "May people {clause}?"],
        ["Yes, you may {value}."],
    ),
    "may_not": Phrasings(
        ["May I {clause}?", "Am I allowed to {clause}?", "Is it allowed to {clause}?", "Can I {clause}?", "Is one permitted to {clause}?", "Is it okay to {clause}?", "Do I have permission to {clause}?", "May people {clause}?"],
        ["No, you {modal} {value}."],
    ),
    "must": Phrasings(
        ["Do I have to {clause}?", "Must I {clause}?", "Is it necessary to {clause}?", "Am I required to {clause}?", "Is one obliged to {clause}?", "Do I need to {clause}?"],
        ["Yes, you must {value}."],
    ),
    "why": Phrasings(
        ["Why {aux} {subject} {rest}?", "For what reason {aux} {subject} {rest}?", "How come {subject} {aux} {rest}?", "What is the reason that {subject} {aux} {rest}?", "Why is it that {subject} {aux} {rest}?",
         "Can you say why {subject} {aux} {rest}?"],
        ["Because {value}."],
    ),
    "yes": Phrasings(
        ["{Aux} {subject} {rest}?", "Is it true that {subject} {aux} {rest}?", "Does the text say that {subject} {aux} {rest}?", "{Aux} {subject} {rest}, according to the text?", "Is it right that {subject} {aux} {rest}?", "Would you say that {subject} {aux} {rest}?"],
        ["Yes, {subject} {aux} {rest}.", "Yes."],
    ),
    "no": Phrasings(
        ["{Aux} {subject} {rest}?", "Is it true that {subject} {aux} {rest}?", "Does the text say that {subject} {aux} {rest}?", "{Aux} {subject} {rest}, according to the text?", "Is it right that {subject} {aux} {rest}?", "Would you say that {subject} {aux} {rest}?"],
        ["No, {subject} {aux} not {rest}.", "No."],
    ),
    "how_many": Phrasings(
        ["How many {noun} {do} {subject} {verb}?", "What number of {noun} {do} {subject} {verb}?", "How many {noun} {do} {subject} {verb}, according to the text?", "Can you tell how many {noun} {subject} {verbs}?", "Tell me how many {noun} {subject} {verbs}.",
         "{subject} {verbs} how many {noun}?"],
        ["{subject} {verbs} {value} {noun}.", "{value} {noun}."],
    ),
    "default": Phrasings(
        ["What is the default of {name}?", "What is the default value of {name}?", "Which default does {name} have?", "What is {name} by default?", "If I do not set {name}, what is used?", "What does {name} default to?", "What is the default for {name}?"],
        ["The default of {name} is {value}."],
    ),
    "about": Phrasings(
        ["What is this about?", "What is this document about?", "What is it about, in a few words?", "Give me a short summary.", "What is described here?", "Summarize this in one sentence.", "What is the topic?", "What does this text describe?", "In short, what is this?"],
        ["{value}."],
    ),
    "command_is": Phrasings(
        ["What is {name}?", "What does {name} do?", "What is {name} for?", "What is the purpose of {name}?", "What can I do with {name}?", "In a few words, what is {name}?", "Why would I use {name}?"],
        ["{name}: {value}."],
    ),
    "install": Phrasings(
        ["How do I install {name}?", "How is {name} installed?", "Which command installs {name}?", "How can I get {name}?", "What must I type to install it?", "How do I set {name} up?"],
        ["Run {value}.", "With the command {value}."],
    ),
    "list": Phrasings(
        ["What is listed under {name}?", "Which points are there under {name}?", "List what stands under {name}.", "What are the {name}?", "Which {name} are named?", "What belongs to {name}?", "Name the items under {name}."],
        ["{value}."],
    ),
    "list_count": Phrasings(
        ["How many points are listed under {name}?", "How many items stand under {name}?", "How long is the list under {name}?", "How many entries has the list under {name}?", "How many things are listed under {name}?", "Count the items under {name}."],
        ["There are {value}.", "{value}."],
    ),
    "version_date": Phrasings(
        ["When was version {name} released?", "What is the date of version {name}?", "When did {name} come out?", "Which date does version {name} carry?", "On which day was {name} released?", "When was {name} published?"],
        ["Version {name} was released on {value}."],
    ),
    "date_version": Phrasings(
        ["Which version was released on {given}?", "What came out on {given}?", "Which version is dated {given}?", "What was released on {given}?", "Which release is from {given}?", "On {given}, which version was released?"],
        ["Version {value} was released on {given}."],
    ),
    "changed_in": Phrasings(
        ["What changed in version {name}?", "What is new in {name}?", "Which change came with version {name}?", "What does version {name} bring?", "Tell me what changed in {name}.", "What was done in {name}?"],
        ["{value}."],
    ),
    "change_version": Phrasings(
        ["In which version did this change come: {given}?", "Which version says \"{given}\"?", "Since which version: {given}?", "Under which version is \"{given}\" noted?", "When, in which version, came \"{given}\"?", "\"{given}\": which version is that?"],
        ["In version {value}.", "Version {value}."],
    ),
    "latest": Phrasings(
        ["What is the latest version?", "Which version is the newest?", "What is the newest version listed?", "Which is the most recent release?", "What version is current?", "Which version stands at the top?"],
        ["The latest version is {value}."],
    ),
    "maintainer_of": Phrasings(
        ["Who made version {name}?", "Who uploaded version {name}?", "Who is responsible for version {name}?", "Whose release is {name}?", "Who signed off {name}?", "By whom is version {name}?"],
        ["Version {name} is by {value}."],
    ),
    "function_does": Phrasings(
        ["What does {name} do?", "What is {name} for?", "Explain the function {name}.", "What is the purpose of {name}?", "What does the function {name} do?", "Why is there a function {name}?", "What does calling {name} do?"],
        ["{name}: {value}."],
    ),
    "function_for": Phrasings(
        ["Which function is there to {clause}?", "What do I call to {clause}?", "Which function can {clause}?", "How do I {clause} here?", "What is the name of the function to {clause}?", "Is there a function to {clause}?"],
        ["{value} does that.", "Call {value}."],
    ),
    "arguments": Phrasings(
        ["Which arguments does {name} take?", "What are the parameters of {name}?", "What arguments does {name} have?", "What can be passed to {name}?", "Which parameters has {name}?", "How is {name} called?"],
        ["{name} takes {value}."],
    ),
    "constant": Phrasings(
        ["What is the value of {name}?", "What is {name} set to?", "Which value does {name} have?", "How large or what is {name}?", "What does {name} equal?", "To what is {name} set?"],
        ["{name} is {value}."],
    ),
    "log_when": Phrasings(
        ["When did this happen: {given}?", "At what time was it logged that {given}?", "When does the log say \"{given}\"?", "What time is the entry \"{given}\"?", "At which time came \"{given}\"?", "When exactly: {given}?"],
        ["At {value}."],
    ),
    "where_is": Phrasings(
        ["Where is {name}?", "In which file or folder is {name}?", "Where can I find {name}?", "Where does {name} stand?", "What is the place of {name}?", "Where is {name} kept?"],
        ["{name} is in {value}.", "It is in {value}."],
    ),
}

NOT_FOUND = "Not found: the document does not say."
