"""Words in names of speakers, and in the labels of facts that stand before a colon in a turn."""

# ruff: noqa: RUF001 - other scripts have characters that look like Latin ones
from __future__ import annotations

_ROLES = """
user agent customer assistant bot chatbot system caller callee operator client consumer human ai advisor adviser
representative rep support service helpdesk desk staff employee guest visitor patient doctor nurse therapist
counselor counsellor student teacher tutor instructor interviewer interviewee moderator host speaker participant
receptionist dispatcher supervisor manager seller buyer salesperson salesman clerk wizard ivr voicebot gpt chatgpt
claude assistente asistente usuario usuaria cliente agente operador operadora utilisateur utilisatrice conseiller
usager utente operatore kunde kundin nutzer nutzerin berater beraterin mitarbeiter mitarbeiterin anrufer anruferin
klant gebruiker medewerker klient uzytkownik 用户 客服 客户 顾客 坐席 代理 机器人 助手 系统 买家 卖家
ユーザー お客様 担当者 オペレーター 고객 상담원 사용자 العميل
عميل المستخدم الوكيل الموظف الزبون клиент оператор агент пользователь
"""
_LABELS = """
number numbers no nr address addresses total subtotal amount price cost fee tax balance date time day name names
email e-mail mail phone telephone tel fax mobile note notes notice summary subject order reference ref id ids link
links url website status warning tip hint step steps option options example examples answer question reason result
results details detail description street city country zip postcode code pin password username account product
products item items quantity size color colour model version type category delivery shipping payment tracking
invoice room seat flight departure arrival destination from to sent cc
bcc re ps p.s fyi edit update attachment file
page chapter section topic title agenda duration location hours deadline due rating score nummer bestellnummer
kundennummer rechnungsnummer adresse lieferadresse anschrift datum uhrzeit betrag summe preis hinweis betreff
telefon pedido numero número dirección fecha hora precio teléfono nota asunto correo commande numéro heure prix
montant objet remarque indirizzo data ora prezzo oggetto ordine endereço preço valor 订单号 订单 地址 电话
姓名 时间 日期 价格 金额 备注
注 注意 链接 邮箱 العنوان الرقم الطلب التاريخ السعر
заказ заказа номер адрес доставка сумма итого дата время цена телефон почта примечание
carrier warehouse material brand ingredients instructions monday tuesday wednesday thursday friday saturday sunday
montag dienstag mittwoch donnerstag freitag samstag sonntag prazo
numer adres kwota zamówienie numarası tarih toplam teslimat
주문번호 배송지 주소 전화 전화번호 이름 날짜 시간 가격 합계
注文番号 住所 電話 電話番号 氏名 名前 日付 時間 価格 合計 תאריך מספר כתובת טלפון שם סכום
"""
_PARTICLES = "de da do dos das del della di du la le el al bin ibn ben van von der den zu of the and y e"

ROLES = frozenset(_ROLES.split())
"""Roles in dialogues; a name that contains one is a speaker."""
LABELS = frozenset(_LABELS.split())
"""Last words of labels: "Order number: 555"."""
LABEL_ENDINGS = ("nummer", "adresse", "datum", "betrag", "preis", "number", "address")
PARTICLES = frozenset(_PARTICLES.split())
"""Words that names contain in lower case."""
