SELECT p.holder, p.seq, p.at, c.body FROM receipt_line AS p JOIN receipt AS c ON c.id = p.receipt
WHERE p.log = ?1
