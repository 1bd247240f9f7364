"""What the questions are made of: names, things, places. Common words, since the model is small."""

WOMEN = ("Anna", "Maria", "Emma", "Sara", "Julia", "Nina", "Laura", "Alice", "Clara", "Helen")
MEN = ("Tom", "Peter", "David", "Mark", "Paul", "Jack", "Simon", "Oscar", "Henry", "Leo")
NAMES = WOMEN + MEN
SURNAMES = ("Miller", "Baker", "Green", "Carter", "Young", "Parker", "Reed", "Wood", "Hill", "Stone")
THINGS = ("apples", "books", "coins", "pencils", "cookies", "stamps", "marbles", "cards", "oranges", "balloons")
CITIES = ("Berlin", "Madrid", "Oslo", "Vienna", "Lisbon", "Dublin", "Prague", "Athens", "Warsaw", "Helsinki")
JOBS = ("teacher", "nurse", "pilot", "baker", "lawyer", "farmer", "engineer", "painter", "doctor", "driver")
MONTHS = ("January", "March", "April", "May", "June", "July", "August", "September", "October", "November")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GOODS = ("lamp", "chair", "table", "clock", "mirror", "carpet", "kettle", "radio", "camera", "printer")
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "orange", "purple", "grey")
NOUNS = (
    "river", "garden", "window", "bridge", "candle", "forest", "island", "kitchen", "ladder", "mountain", "needle",
    "ocean", "pencil", "rabbit", "saddle", "tiger", "violin", "winter", "zebra", "basket", "doctor",
    "engine", "flower", "guitar", "hammer", "jacket", "letter", "market", "number", "orange", "pocket", "school",
    "ticket", "village", "wheel",
)  # fmt: skip
GROUPS = ("fruits", "animals", "colors", "countries", "vegetables", "sports", "musical instruments", "birds", "cities")
TOPICS = (
    "the sun", "dogs", "rain", "music", "trees", "the sea", "bread", "winter", "books", "bicycles", "cats", "summer",
    "the moon", "horses", "coffee", "snow", "gardens", "trains", "bees", "mountains",
)  # fmt: skip
SENTENCES = (
    "The train leaves at noon.", "My sister likes green tea.", "We walked along the river.", "The shop opens at nine.",
    "Please close the window.", "The dog sleeps on the sofa.", "It rained all day yesterday.", "The cat is very small.",
    "He plays the violin well.", "Our garden is full of roses.", "The bridge is very old.", "She reads every evening.",
)  # fmt: skip
