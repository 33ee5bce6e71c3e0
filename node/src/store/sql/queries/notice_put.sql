INSERT INTO notice_row (
    doc, publisher, title, body, category, from_day, until_day, published_at, version,
    correction, withdrawn_at, withdrawn
) VALUES (
    :doc, :publisher, :title, :body, :category, :from_day, :until_day, :published_at, :version,
    :correction, :withdrawn_at, :withdrawn
)
