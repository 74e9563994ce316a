-- The register's abbreviations, spelt out where a word is common and its meaning plain.
CREATE MACRO spelt(word) AS MAP {
    'AND': 'and', 'OR': 'or', 'OF': 'of', 'IN': 'in', 'FOR': 'for', 'WITH': 'with', 'BY': 'by', 'N': 'and',
    'OZ': 'oz', 'LB': 'lb', 'LBS': 'lbs', 'PK': 'pk', 'CT': 'ct', 'ML': 'ml', 'DVD': 'DVD', 'CD': 'CD', 'BBQ': 'BBQ',
    'TV': 'TV', 'NZ': 'NZ', 'SPF': 'SPF', 'GM': 'General Merchandise', 'FRE': 'Fresh', 'CND': 'Canned',
    'FRZN': 'Frozen', 'FRZ': 'Frozen', 'FRSH': 'Fresh', 'REFRGRATD': 'Refrigerated', 'REFRIG': 'Refrigerated',
    'BKD': 'Baked', 'BRKFST': 'Breakfast', 'DNR': 'Dinner', 'DNRS': 'Dinners', 'SNDWCH': 'Sandwich', 'SALD': 'Salad',
    'DRSNG': 'Dressing', 'SPRD': 'Spread', 'FLVRD': 'Flavored', 'VEG': 'Vegetable', 'DSH': 'Dish', 'SFT': 'Soft',
    'DRNK': 'Drink', 'DRNKS': 'Drinks', 'SNGL': 'Single', 'SGL': 'Single', 'SRV': 'Serve', 'BTL': 'Bottle',
    'CARB': 'Carbonated', 'INCL': 'including', 'INCLUDING': 'including', 'EXCP': 'except', 'MISC': 'Miscellaneous',
    'SPLY': 'Supplies', 'CLEANG': 'Cleaning',
    'WHLSM': 'Wholesome', 'CNTRL': 'Control', 'HYGN': 'Hygiene', 'WTR': 'Water', 'BTR': 'Butter', 'PNT': 'Peanut',
    'PREM': 'Premium', 'GDS': 'Goods', 'MXS': 'Mixes', 'MX': 'Mix', 'PWDR': 'Powder', 'CRYSTL': 'Crystal', 'JCE': 'Juice',
    'CRKR': 'Cracker', 'SNKS': 'Snacks', 'CNDY': 'Candy', 'CKYS': 'Cookies', 'PKGD': 'Packaged', 'PCKGD': 'Packaged',
    'PKG': 'Package', 'BRD': 'Breaded', 'PKLD': 'Pickled', 'TRSH': 'Trash', 'SHERBTS': 'Sherbets', 'LIQ': 'Liquid',
    'LIQS': 'Liquids', 'CHOC': 'Chocolate', 'CHOCOCLATE': 'Chocolate', 'MLT': 'Multi', 'PREPORTND': 'Preportioned',
    'SUPPPLIES': 'Supplies',
    'GRND': 'Ground', 'PTTY': 'Patty', 'MEATDINNERS': 'Meat Dinners', 'SAUCESSALSAPICANTEE': 'Sauces, Salsa, Picante',
    'BEERALEMALT': 'Beer, Ale, Malt', 'FD': 'Food', 'FEM': 'Feminine', 'SEASNL': 'Seasonal', 'ORGNC': 'Organic'
}[word];

-- Words alternate with what stands between them, so that nothing but letters' case and known words changes. Names that
-- the register cut off at 30 characters lose an opened parenthesis.
CREATE MACRO readable(text) AS trim(regexp_replace(array_to_string(list_transform(
    regexp_extract_all(
        regexp_replace(
            replace(replace(regexp_replace(text, '\s*\([^)]*$', ''), ')(', ') ('), 'MISC.', 'MISC'), ' *: *', ': ', 'g'
        ),
        '[A-Za-z'']+|[^A-Za-z'']+'
    ),
    lambda word: coalesce(spelt(upper(word)), upper(word[1]) || lower(word[2:]))
), ''), ' +', ' ', 'g'));

-- Types that say nothing without their category.
CREATE MACRO says_nothing(type) AS coalesce(type IN (
    'OTHER', 'MISC', 'FRESH', 'LEAN', 'DRY', 'KITS', 'SBT', 'KIDS', 'RED', 'APS', 'GRINDS', 'CUPS', 'NON FOOD',
    'PROMO/ENDCAP', 'SEASONAL', 'SPECIALTY'
), false);

CREATE TEMP TABLE lines AS
SELECT
    household_id::VARCHAR AS user_id, product_id, basket_id, store_id, quantity, coupon_disc,
    transaction_timestamp AT TIME ZONE 'UTC' AS occurred_at, transaction_timestamp::DATE AS day,
    row_number() OVER (
        PARTITION BY basket_id, product_id ORDER BY transaction_timestamp, quantity, sales_value, file_row_number
    ) AS repeat
FROM read_parquet(getvariable('folder') || '/transactions.parquet', file_row_number = true);

-- A redemption names a coupon, not a product: of the products it covers, those that the household bought that day,
-- and only the lines with a coupon's discount where there are any.
CREATE TEMP TABLE redeemed AS
WITH redemptions AS (
    SELECT DISTINCT household_id::VARCHAR AS user_id, coupon_upc, campaign_id, redemption_date::DATE AS day
    FROM read_parquet(getvariable('folder') || '/coupon_redemptions.parquet')
),
covered AS (
    SELECT DISTINCT coupon_upc, campaign_id, product_id FROM read_parquet(getvariable('folder') || '/coupons.parquet')
),
bought AS (
    SELECT * FROM lines WHERE quantity > 0
    QUALIFY row_number() OVER (
        PARTITION BY user_id, product_id, day ORDER BY coupon_disc > 0 DESC, occurred_at, basket_id, repeat
    ) = 1
)
SELECT * FROM redemptions JOIN covered USING (coupon_upc, campaign_id) JOIN bought USING (user_id, day, product_id)
QUALIFY coupon_disc > 0 OR NOT bool_or(coupon_disc > 0) OVER (PARTITION BY user_id, coupon_upc, campaign_id, day);

CREATE TEMP TABLE events AS
SELECT
    day, user_id, product_id::VARCHAR AS item_id,
    -- No row has a quantity below 0: those of 0 are what is left of a corrected or voucher-only line, no return.
    CASE WHEN quantity > 0 THEN 'purchase' ELSE 'adjustment' END AS action,
    occurred_at,
    basket_id || '-' || product_id || CASE WHEN repeat > 1 THEN '-' || repeat ELSE '' END AS event_id,
    quantity::DOUBLE AS value,
    MAP {'store': store_id::VARCHAR, 'basket': basket_id::VARCHAR} AS context
FROM lines
UNION ALL
SELECT
    day, user_id, product_id::VARCHAR, 'redeem', occurred_at,
    concat_ws('-', basket_id, product_id, 'coupon', coupon_upc, campaign_id), NULL,
    MAP {'campaign': campaign_id::VARCHAR, 'coupon': coupon_upc::VARCHAR}
FROM redeemed;

CREATE TEMP TABLE items AS
WITH products AS (
    SELECT product_id::VARCHAR AS item_id, department, product_category AS category, product_type AS type,
        brand, manufacturer_id, package_size
    FROM read_parquet(getvariable('folder') || '/products.parquet')
),
-- There are few texts and many products: each is made once.
texts AS (
    SELECT department, category, type, brand,
        CASE WHEN type IS NULL OR says_nothing(type)
            THEN concat_ws(': ', readable(coalesce(category, department)), readable(type))
            ELSE readable(type) END AS title,
        concat_ws(' ', coalesce(readable(category) || ', in the', 'In the'), readable(department), 'department.',
            CASE brand WHEN 'Private' THEN 'The store''s own brand.' ELSE brand || ' brand.' END) AS description,
        list_filter([
            readable(department),
            CASE WHEN category <> department THEN readable(category) END,
            CASE WHEN type <> coalesce(category, department) THEN readable(type) END
        ], lambda topic: topic IS NOT NULL) AS topics
    FROM (SELECT DISTINCT department, category, type, brand FROM products)
),
seen AS (SELECT item_id, min(day) AS first_seen FROM events GROUP BY item_id)
SELECT
    listed_on(p.item_id, first_seen, (SELECT min(day) FROM events)) AS day, p.item_id, title, description, topics,
    known([entry('brand', p.brand), entry('manufacturer', manufacturer_id), entry('size', package_size)]) AS attributes
FROM products p LEFT JOIN seen USING (item_id)
JOIN texts t
    ON (t.department, t.category, t.type, t.brand) IS NOT DISTINCT FROM (p.department, p.category, p.type, p.brand);

CREATE TEMP TABLE users AS
WITH seen AS (SELECT user_id, min(day) AS day FROM lines GROUP BY user_id)
SELECT day, user_id, known([
    entry('age', age), entry('income', income), entry('home_ownership', home_ownership),
    entry('marital_status', marital_status), entry('household_size', household_size),
    entry('household_comp', household_comp), entry('kids_count', kids_count)
]) AS attributes
FROM seen LEFT JOIN read_parquet(getvariable('folder') || '/demographics.parquet') d ON d.household_id::VARCHAR = seen.user_id;
