"""More invented names for written documents."""

MEN = """Adrian Alan Albert Andrew Ben Callum Carlos Charles Christopher Colin Craig Damian David Dennis Desmond Edward Farid Francis
Gareth Geoffrey Giles Gregory Harold Howard Ian Isaac Jack Jacob James Jerome Joel Kenneth Kofi Kwame Lawrence Liam Louis Malik
Marcus Matthew Michael Mohammed Neil Nigel Owen Patrick Paul Philip Quentin Ralph Raymond Reuben Robert Roger Rory Sanjay Sean Stefan
Stephen Stuart Theo Thomas Tomasz Vincent Warren Wesley William Winston Yusuf""".split()
WOMEN = """Abigail Adele Alice Amelia Anita Annette Audrey Barbara Bridget Camille Carmen Caroline Catherine Charlotte Chiara Cynthia Daphne
Deborah Delia Denise Diana Dorothy Eleanor Elsie Esther Fiona Florence Frances Gemma Gillian Grace Hannah Harriet Hilda Imogen Ingrid
Isabel Jacqueline Jane Jasmine Joan Judith Karen Katarina Leila Lilian Lorna Louise Lydia Mabel Margaret Marion Meera Miriam Monica
Naomi Nora Octavia Pamela Patience Philippa Rachel Rebecca Rosalind Sarah Sheila Susan Sylvia Teresa Ursula Valerie Veronica Wendy
Yvonne Zainab""".split()
MORE_LAST = """Achebe Adeyemi Aldridge Andersen Armitage Ashworth Atkins Bannerman Barlow Beckett Bellini Blackwood Bowen Bradshaw Brennan
Calloway Campbell Carver Chen Clarke Cole Corrigan Crane Cunningham Dalton Davies Delgado Dempsey Donnelly Drummond Ellis Farrow
Ferreira Fletcher Forsyth Gallagher Garrett Gibson Goddard Greenwood Hale Hammond Harding Hawthorne Hobbs Hussain Ibrahim Jacobs Kapoor
Kendrick Khan Kirby Lambert Langley Lawson Lovell Maddox Mbeki McKenna Mercer Molina Moss Nowak Obi Osborne Paley Pemberton Pryce Quinn
Radcliffe Rahman Redmond Rowe Sadler Santos Sharma Shaw Singh Stafford Stokes Sutton Tanner Templeton Tran Underwood Vance Vaughan
Wallace Warwick Webster Whitfield Winter Woodward Wren Yates Zhou""".split()
MORE_PLACES = """Ashford Barrowby Brampton Calder Carrick Coldwater Dunmore Easthaven Eastleigh Fairhaven Farnworth Glenmore Greystone Hadleigh
Hartwell Hollins Ilford Kelso Kingsbridge Larkhill Longford Lowmoor Marston Millbrook Newhaven Northwick Oakham Oldbury Penrith Ravenna
Redcliff Ridgeway Rothwell Sandbach Selby Southwold Stanmore Stonebridge Thornbury Tilbury Wakefield Wenlock Westerham Whitby Winslow
Woodstock Yarrow Zell""".split()
STREETS = ["Mill Lane", "Station Road", "Church Street", "High Street", "Park Avenue", "Orchard Close", "Bridge Street", "Victoria Road", "Elm Grove", "Quay Street",
           "Chapel Hill", "Meadow Way", "King Street", "Canal Walk", "Market Square", "Harbour Road", "Beech Drive", "Foundry Row", "Castle Street", "West Parade"]  # fmt: skip
MORE_COMPANIES = ["Amberley", "Arden", "Bluestone", "Brackenfield", "Cobalt", "Corvid", "Dovetail", "Ember", "Fenwick", "Foxglove", "Granite", "Harrier", "Indigo",
                  "Juniper", "Larkspur", "Meridian", "Northgate", "Orchid", "Pinnacle", "Redwood", "Saltmarsh", "Silverline", "Thistle", "Umber", "Wayfarer", "Zephyr"]  # fmt: skip
