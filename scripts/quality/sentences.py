"""What is spoken in the measurement of transcription; written for it, in American English."""

PLAIN = tuple(
    """
The old lighthouse keeper climbed the stairs every evening before sunset.
She forgot her umbrella on the train and walked home through the rain.
Our neighbor grows tomatoes, beans and a few sunflowers behind the garage.
The committee will meet again next week to discuss the new budget.
A gentle wind carried the smell of fresh bread across the square.
He repaired the broken clock with nothing but a pocket knife.
Most of the students finished the exam before the bell rang.
The river was frozen, so the children skated under the bridge.
Please leave your shoes by the door and hang your coat in the closet.
The mechanic said that the brakes would last another winter.
Two fishermen rowed their boat slowly toward the quiet harbor.
My grandmother keeps her letters in a wooden box under the bed.
The museum opens early on weekends and closes late in the summer.
Nobody noticed the small dog that slept beneath the piano.
The pilot announced a delay because of heavy fog over the valley.
We painted the kitchen yellow and the hallway a pale green.
The farmer counted his sheep twice and still came up short.
After lunch they hiked along the ridge until the path disappeared.
The judge listened carefully and asked only a single question.
A young nurse carried the heavy tray down the corridor.
The orchestra tuned their instruments while the audience took their seats.
Somebody left a basket of ripe peaches on our front porch.
The bakery around the corner sells the best apple pie in town.
He whispered the answer so that his brother could not hear it.
The bridge was closed for repairs until the end of the month.
Every winter the lake turns silver and the birds fly south.
The teacher wrote a short poem on the blackboard with white chalk.
They planted a row of maple trees along the dusty road.
The captain studied the map and changed the course of the ship.
I would rather read a good book than watch a bad movie.
The carpenter measured the shelf again before he cut the wood.
Her cousin works at a hospital near the coast of Oregon.
The cat jumped onto the windowsill and watched the falling snow.
A loud noise from the street woke everyone in the building.
The waiter brought us water, olives and a basket of warm bread.
Our train leaves from the second platform in about ten minutes.
The scientist explained her results in plain and simple words.
He bought a used guitar and taught himself how to play it.
The garden gate creaks whenever somebody opens it at night.
She sold the farm last spring and moved into a small apartment.
The police officer helped an elderly woman cross the busy street.
There is a narrow path between the church and the old mill.
The company promised to deliver the furniture before the holidays.
We watched the sun rise over the mountains with cups of hot coffee.
The little boy asked why the moon follows the car.
A storm knocked down the fence and scattered the hay.
The library has a quiet room for people who want to study.
His favorite jacket has a hole in the left pocket.
The tourists took pictures of the fountain in the middle of the plaza.
My sister practices the violin for an hour before dinner.
The engineer tested the new pump under very high pressure.
Fresh vegetables are cheaper at the market on the far side of town.
The actor forgot his lines and made up a better speech.
We heard an owl calling from the forest behind the cabin.
The doctor told him to drink more water and get some sleep.
A yellow taxi stopped in front of the hotel at midnight.
The editor removed several paragraphs from the final chapter.
They walked along the beach and collected smooth gray stones.
The shop on the corner repairs bicycles, skates and scooters.
Her speech was brief, but everybody remembered it for years.
The soup needs more salt, and perhaps a little pepper.
A group of volunteers cleaned the park on Saturday morning.
The window was open, and the curtains moved in the breeze.
He crossed the desert on foot with a camel and a compass.
The electrician replaced the switch and tested the lamp.
Our flight was late, so we missed the opening ceremony.
The baby laughed when the balloon floated up to the ceiling.
The old house has thick walls, low doors and a steep roof.
She studied chemistry in college and now teaches it at school.
The goalkeeper caught the ball and threw it to the captain.
Several roads in the county were flooded after the storm.
He keeps a spare key under the flower pot near the steps.
The choir sang an old song that nobody had heard before.
The postman brought a parcel from a friend in Canada.
We should take the stairs, because the elevator is slow.
The painter mixed blue and yellow until the green looked right.
A thin layer of ice covered the puddles in the yard.
The mayor thanked the firefighters for their courage.
My father reads the newspaper from the last page to the first.
The kitchen smelled of onions, garlic and roasted lamb.
The hikers filled their bottles at a spring beside the trail.
She found a silver coin while digging in the garden.
The bus driver waited until everybody had found a seat.
An old radio in the corner played music from another time.
The landlord fixed the heater just before the first frost.
He opened the letter slowly and read it twice.
The squirrels buried their acorns all over the lawn.
They built a bonfire on the shore and told stories until dawn.
The tailor shortened the sleeves and mended the lining.
A curious fox followed us to the edge of the field.
The reporter asked the minister about the missing documents.
I left my glasses on the table next to the telephone.
The concert was canceled because the singer had lost her voice.
The ship carried coffee, cotton and spices across the ocean.
Children under the age of five travel for free on this ferry.
The gardener trimmed the hedge into the shape of a swan.
We rented a cottage near the village for the whole month of June.
The chess player thought for an hour and then gave up.
The kettle whistled while she was looking for the sugar.
Nothing in the attic had been touched since the war.
""".strip().splitlines()
)
"""Plain sentences of 8 to 14 words, which people say as they are written."""
