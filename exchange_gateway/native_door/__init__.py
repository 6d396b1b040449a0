"""The other door in: a participant's own producer writes to its mailbox on Kafka, `in.<participant>`.

`messages.py` reads what it wrote, `intake.py` hands it to the same door as HTTP does and sets aside what is refused,
`mailboxes.py` makes the topics. Who may write to a mailbox is for the brokers' ACLs to say.
"""
