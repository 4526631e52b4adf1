"""The colours and dashes that tell arms apart in every figure."""

# Okabe and Ito's colours, distinguishable with any kind of colour vision; without yellow, which is faint on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)))  # a second and third round through the colours
